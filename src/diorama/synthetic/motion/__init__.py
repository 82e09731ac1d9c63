"""What people do in exact worlds: actions, planned on a layout, performed with planted feet and hands."""
