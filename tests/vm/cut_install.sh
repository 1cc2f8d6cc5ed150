# The power goes while a package is installed.
before() { :; }
operation() { edgemill model install /edgemill/2.emp --board $board; }
. /cut.sh
