"""Promises about journeys: objectives, error budgets, burn rates and funnels."""
