"""The bench: how good retrieval is on a set of questions whose right passages are known."""
