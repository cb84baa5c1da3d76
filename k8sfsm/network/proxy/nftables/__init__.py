"""The nftables back end."""
