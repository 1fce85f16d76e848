"""Candor: the application around the collector and the promises made about journeys."""
