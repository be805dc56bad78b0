"""The codec as an HTTP service: `semanticodec serve` (extra `serve`).

server -> app (endpoints) -> body, admission -> coding -> batching -> RecordingEncoder
"""
