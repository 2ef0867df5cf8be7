"""Where documents come from: folders, web sites, feeds, repositories, object stores, and what packages add."""
