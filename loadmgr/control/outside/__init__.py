"""What others decide: limits from outside, what people order, and what stands between us and a station."""
