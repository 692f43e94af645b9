"""Joint learning of face identity, pose, illumination and expression with mtlkit."""
