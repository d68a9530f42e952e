"""Real clients against real servers, directly and through the gateway: is there any difference?"""
