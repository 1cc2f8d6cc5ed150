//! pipeline.toml, board.toml and access.toml: raw in, checked out, once.
