"""Before anybody reads: the protocol, its images, the plan and the audit."""
