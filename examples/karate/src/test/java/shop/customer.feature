@ignore
Feature: A customer of one test, registered and logged in

  Scenario:
    * url apiUrl
    * def email = 'ada.' + java.util.UUID.randomUUID() + '@example.com'
    * def known = { email: '#(email)', name: 'Ada', password: 'correct horse battery' }
    Given path 'customers'
    And request known
    When method post
    Then status 201
    Given path 'tokens'
    And request known
    When method post
    Then status 201
    * def token = 'Bearer ' + response.access_token
