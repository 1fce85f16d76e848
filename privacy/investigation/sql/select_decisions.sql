SELECT
  id, at, subject_key, identifiers, purpose, channel, stage, jurisdictions, recipient, gpc, allow,
  reason, rule, evidence, notice, valid_until, obligations, ledger_turn, as_of, entry_decision, caller
FROM consent_decisions
WHERE at >= {since:DateTime64(6, 'UTC')} AND at < {until:DateTime64(6, 'UTC')}
  AND (at > {since:DateTime64(6, 'UTC')} OR id > {after:String})
ORDER BY at, id
LIMIT {most:UInt32}
