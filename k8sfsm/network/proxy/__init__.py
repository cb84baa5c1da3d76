"""kube-proxy: from Services and EndpointSlices to what a node does with packets, in four back ends (see
specs/kubeproxy).
"""
