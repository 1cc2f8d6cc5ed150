//! Loads plugins, runs their life cycle, and holds them to the rules.
