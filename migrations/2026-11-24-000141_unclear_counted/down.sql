UPDATE messages SET unclear_opens = 0, unclear_clicks = 0 WHERE unclear_opens > 0 OR unclear_clicks > 0;
