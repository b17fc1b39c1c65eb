"""The quality that a lower precision of the CPU engine costs, measured against float32."""
