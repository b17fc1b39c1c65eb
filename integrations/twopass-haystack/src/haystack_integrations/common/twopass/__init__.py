"""How the store and the components reach a server."""
