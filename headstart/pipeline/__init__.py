"""The flow, top to bottom: data, backbone, arms, evidence, artifact."""
