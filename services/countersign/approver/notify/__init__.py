"""People hear of approvals: by webhook, Slack, Teams and e-mail."""
