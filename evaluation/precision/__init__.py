"""What a lower precision of the CPU engine costs in quality: measured against float32."""
