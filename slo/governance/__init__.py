"""What people decide about budgets: corrections, annotations, policies, overrides of the gate."""
