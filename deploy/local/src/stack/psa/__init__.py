"""`tieout psa …`: the desk of psa-connector on the command line."""
