DROP TABLE api_tokens;
DROP TABLE sessions;
DROP TABLE sign_in_links;
