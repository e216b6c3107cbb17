"""The two halves of a model as item codes and an ONNX graph, with rewriting and comparison."""
