"""Engines side by side, ours and the field's: the same weights, the same token ids, in turns."""
