"""The codec behind the interfaces of other people's benchmarks, one file for each of them."""
