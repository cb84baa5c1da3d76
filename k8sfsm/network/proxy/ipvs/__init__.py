"""The IPVS back end."""
