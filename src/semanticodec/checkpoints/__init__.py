"""Weights on disk: model folders (safetensors) and the official system's checkpoints."""
