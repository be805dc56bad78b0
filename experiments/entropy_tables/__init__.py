"""Tables for entropy coding, from files of codes."""
