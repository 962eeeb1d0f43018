"""`make mutants`: small bugs put into the product one at a time, to see whether its fast tests notice."""
