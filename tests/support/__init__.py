"""Factories, fakes and stores that the tests share."""
