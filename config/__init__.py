"""Settings: defaults in code, then ragline.toml, then variables. The only room that reads the environment."""
