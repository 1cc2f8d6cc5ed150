# The power goes while a package that is installed is made the active one.
before() { edgemill model install /edgemill/2.emp --board $board; }
operation() { edgemill model activate traffic-light --board $board; }
. /cut.sh
