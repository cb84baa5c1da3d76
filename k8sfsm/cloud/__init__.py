"""A small cloud: machines, load balancers, routes and volumes, as a value that calls and events change."""
