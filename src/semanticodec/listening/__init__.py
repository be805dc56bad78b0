"""Listening tests: the paper's Section IV-C, Figures 3 and 4, and ITU-R BS.1534-3 (MUSHRA).

    suite x systems --build--> TEST/plan.json, TEST/audio/
    TEST --server, page--> listeners --storage--> TEST/ratings.sqlite3
    TEST --analysis--> post-screening, means, intervals, figures

`plan` says what a test consists of, `order` in which order a listener hears it.
"""
