"""How much of a patch the features keep: what a linear map finds again, per band and block."""
