"""Rows of the acceptance suite that no test beside the code covers, each with the attack as it is written there."""
