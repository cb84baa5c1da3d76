"""The iptables back end."""
