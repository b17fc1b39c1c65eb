"""What a collection costs in each store that is given, side by side in one run: bytes, time."""
