"""What the gateway judged against what real targets read of the same bytes: no trick of encoding tells them apart."""
