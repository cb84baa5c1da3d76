"""The controllers: their facts and actions, one module or package per controller."""
