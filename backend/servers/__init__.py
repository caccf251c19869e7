"""Model servers: started, watched until ready, stopped, found again."""
