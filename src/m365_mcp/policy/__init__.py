"""The rules of the operator and the company about what may leave, evaluated by Cedar (https://docs.cedarpolicy.com)."""
