"""An avatar on a page, moved by VMC as other programs' avatars are: what show_avatar and draw_avatar share."""
