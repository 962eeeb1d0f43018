"""Tests of the deployment: manifests, image, Compose, ingress."""
