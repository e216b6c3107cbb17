"""The two halves of a model as graphs: code table, ONNX scorer, rewrites, parity."""
