"""How both stores came to their present shape."""
