"""How a model's folder is read: what changes the output is understood or refused by name.

A file here is a subject: `modules` what stands after the encoder, `kinds` whether it is a reranker
and which label it scores, `texts` what is done to texts before, `weight_files` where tensors lie,
`settings` our own `twopass.json`, which overrides the others. `FolderFiles` reads the JSON files
and notes what came from where, for `twopass models check`. `engines/model/folder.py` joins it all.
Nothing here knows an engine.
"""
