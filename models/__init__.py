"""The default models: one folder each, in Hugging Face layout with a `twopass.json` beside."""
