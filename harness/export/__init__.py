"""The serving bundle: codes, ONNX scorer, vocabularies, card, golden requests."""
